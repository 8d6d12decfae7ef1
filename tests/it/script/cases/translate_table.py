text = open('story.txt').read()
clean = text.translate(str.maketrans('', '', '.,;"?'))
print(clean.split()[:9])
print(text.count('fox'), text.find('lazy'), text.title()[:9])

#--- what it prints (>), writes (+ and |)
# > ['The', 'quick', 'brown', 'fox', 'jumps', 'over', 'the', 'lazy', 'dog']
# > 3 35 The Quick
