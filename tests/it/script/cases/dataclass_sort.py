from dataclasses import dataclass
import csv

@dataclass
class Sale:
    region: str
    units: int
    price: float

    def amount(self):
        return self.units * self.price

sales = []
for row in csv.DictReader(open('sales.csv')):
    sales.append(Sale(row['region'], int(row['units']), float(row['price'])))
sales.sort(key=lambda s: s.amount(), reverse=True)
print(sales[0])
print([round(s.amount(), 1) for s in sales[:3]])

#--- what it prints (>), writes (+ and |)
# > Sale(region='North', units=2, price=240.0)
# > [480.0, 340.0, 255.0]
