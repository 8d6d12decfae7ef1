with open('story.txt') as f:
    content = f.read()
paragraphs = [p for p in content.split('\n\n') if p.strip()]
print(len(paragraphs), len(content.splitlines()), len(content))
sentences = [s.strip() for s in content.replace('?', '.').split('.') if s.strip()]
print(len(sentences))

#--- what it prints (>), writes (+ and |)
# > 2 4 124
# > 6
