import os, shutil
os.makedirs('archive', exist_ok=True)
shutil.copy('story.txt', 'archive/story.txt')
with open('draft.txt', 'w') as f:
    f.write('hello')
os.rename('draft.txt', 'final.txt')
print(os.path.exists('draft.txt'), open('final.txt').read(), sorted(os.listdir('archive')))
with open('tmp.txt', 'w') as f:
    f.write('x')
os.remove('tmp.txt')
print(os.path.exists('tmp.txt'))

#--- what it prints (>), writes (+ and |)
# > False hello ['story.txt']
# > False
# + archive/story.txt
# | The quick brown fox jumps over the lazy dog. The dog sleeps.
# | A fox is quick; a dog is lazy. "Why?" asked the fox.
# | 
# | The end.
# | 
# + final.txt
# | hello
