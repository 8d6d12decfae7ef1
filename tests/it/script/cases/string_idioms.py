s = '  Hello, World  '
print(s.strip().lower(), s.strip().split(', '), s.strip()[::-1], s.strip().replace('l', 'L', 1))
print('a,b;c'.replace(';', ',').split(','), 'x'.join(['1', '2']), 'abc'.index('b'), 'abcabc'.rfind('b'))
print('title case'.title(), 'Mixed'.swapcase(), 'x'.center(5, '*'), '7'.zfill(3), 'tab\there'.expandtabs(4))
print('one two  three'.split(), 'k=v=w'.split('=', 1), 'k=v=w'.rsplit('=', 1), 'a-b-c'.partition('-'))
print('abc'.startswith(('x', 'a')), 'file.TXT'.lower().endswith('.txt'), 'a1b2'.isalnum(), '12'.isdigit(), '1.5'.replace('.', '').isdigit())
print(''.join(c for c in 'a1b2' if c.isalpha()), ''.join(sorted('hello')), 'hello'.count('l'), ord('a'), chr(98))
print('"quoted"'.strip('"'), "it's", 'tab\tnew\\n', r'raw\n', 'multi' 'part', '%', 'é'.encode('utf-8'), b'abc'.decode())
print('Line one\nLine two\r\nLine three'.splitlines(), 'a\n\nb'.split('\n'), 'word ' * 2)
print(f'{"nested"!r} {1 + 1} {[x for x in range(3)]} {"a" if 1 else "b"} {{braces}}')
text = ('implicit '
        'concatenation')
print(text, len(text), text[0].upper() + text[1:], text[-3:], 'cat' < 'dog', 'a' * 3 + 'b')

#--- what it prints (>), writes (+ and |)
# > hello, world ['Hello', 'World'] dlroW ,olleH HeLlo, World
# > ['a', 'b', 'c'] 1x2 1 4
# > Title Case mIXED **x** 007 tab here
# > ['one', 'two', 'three'] ['k', 'v=w'] ['k=v', 'w'] ('a', '-', 'b-c')
# > True True True True True
# > ab ehllo 2 97 b
# > quoted it's tab	new\n raw\n multipart % b'\xc3\xa9' abc
# > ['Line one', 'Line two', 'Line three'] ['a', '', 'b'] word word 
# > 'nested' 2 [0, 1, 2] a {braces}
# > implicit concatenation 22 Implicit concatenation ion True aaab
