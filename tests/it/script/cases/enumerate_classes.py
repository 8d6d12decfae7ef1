class Stack:
    def __init__(self):
        self.items = []
    def push(self, x):
        self.items.append(x)
    def pop(self):
        return self.items.pop()
    def __len__(self):
        return len(self.items)
    def __str__(self):
        return 'Stack(' + ', '.join(map(str, self.items)) + ')'
    def is_empty(self):
        return not self.items
s = Stack()
for x in [1, 2, 3]:
    s.push(x)
print(s, s.pop(), s.is_empty(), len(s.items))
class Node(object):
    def __init__(self, value, next=None):
        self.value = value
        self.next = next
head = Node(1, Node(2, Node(3)))
node, values = head, []
while node:
    values.append(node.value)
    node = node.next
print(values, hasattr(head, 'value'), getattr(head, 'missing', 'none'), isinstance(head, Node))

#--- what it prints (>), writes (+ and |)
# > Stack(1, 2) 3 False 2
# > [1, 2, 3] True none True
