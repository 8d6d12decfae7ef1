from collections import Counter
import string
text = open('story.txt').read().lower()
for ch in string.punctuation:
    text = text.replace(ch, ' ')
words = text.split()
counts = Counter(words)
print(len(words), len(set(words)))
for word, count in sorted(counts.items(), key=lambda kv: (-kv[1], kv[0]))[:4]:
    print(f'{word:<8}{count:>3}')
longest = max(words, key=len)
print(longest, len(longest))

#--- what it prints (>), writes (+ and |)
# > 26 14
# > the       5
# > dog       3
# > fox       3
# > a         2
# > sleeps 6
