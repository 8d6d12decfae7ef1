class Account:
    """A simple account."""
    count = 0

    def __init__(self, owner, balance=0):
        self.owner = owner
        self.balance = balance

    def deposit(self, amount):
        if amount <= 0:
            raise ValueError('amount must be positive')
        self.balance += amount
        return self

    def __repr__(self):
        return f'Account({self.owner!r}, {self.balance})'

class Problem(Exception):
    pass

a = Account('Ann').deposit(10).deposit(5.5)
print(a, a.balance)
try:
    a.deposit(-1)
except ValueError as error:
    print('error:', error)
try:
    raise Problem('custom')
except Problem as p:
    print('caught', p)

#--- what it prints (>), writes (+ and |)
# > Account('Ann', 15.5) 15.5
# > error: amount must be positive
# > caught custom
