from typing import Dict, List, Optional, Tuple, Any
from collections.abc import Iterable
def parse(line: str, sep: str = ',') -> List[str]:
    """Split a line."""
    return [part.strip() for part in line.split(sep)]
def stats(values: Iterable) -> Dict[str, float]:
    values = list(values)
    return {'n': len(values), 'mean': sum(values) / len(values)}
def find(items: list[dict[str, Any]], key: str) -> Optional[str]:
    for item in items:
        if key in item:
            return item[key]
    return None
x: int = 3
pairs: List[Tuple[str, int]] = [('a', 1)]
print(parse('a, b ,c'), stats([1, 2, 3]), find([{'k': 'v'}], 'k'), find([], 'k'), x, pairs)

#--- what it prints (>), writes (+ and |)
# > ['a', 'b', 'c'] {'n': 3, 'mean': 2.0} v None 3 [('a', 1)]
