tree = {'v': 1, 'c': [{'v': 2, 'c': []}, {'v': 3, 'c': [{'v': 4, 'c': []}]}]}
def total(node):
    return node['v'] + sum(total(c) for c in node['c'])
def show(node, depth=0):
    lines = ['  ' * depth + str(node['v'])]
    for c in node['c']:
        lines += show(c, depth + 1)
    return lines
print(total(tree))
print('\n'.join(show(tree)))
def flatten(x):
    return [y for item in x for y in (flatten(item) if isinstance(item, list) else [item])]
print(flatten([1, [2, [3, [4]]]]))
def perms(s):
    return [s] if len(s) < 2 else [c + p for i, c in enumerate(s) for p in perms(s[:i] + s[i+1:])]
print(perms('abc'))
memo = {}
def fib(n):
    if n in memo: return memo[n]
    memo[n] = n if n < 2 else fib(n-1) + fib(n-2)
    return memo[n]
print(fib(80))

#--- what it prints (>), writes (+ and |)
# > 10
# > 1
# >   2
# >   3
# >     4
# > [1, 2, 3, 4]
# > ['abc', 'acb', 'bac', 'bca', 'cab', 'cba']
# > 23416728348467685
