//! Programs before and after they are rewritten.

use super::rewrite::rewrite;

#[test]
fn rewrites_in_place() {
    for (source, want) in [
        ("import csv", "csv = _mod_csv"),
        ("import csv as c, os", "c = _mod_csv; import os"),
        ("import os.path as p", "p = _os_path"),
        ("from os import path, sep", "path = _os_path; from os import sep"),
        (
            "from collections import (\n    Counter,\n    OrderedDict as O,\n)\nx",
            "from collections import Counter; O = _collections_OrderedDict\nx",
        ),
        ("import os\nos.path.join(a, os.sep)", "import os\n_os_path.join(a, os.sep)"),
        ("import json as j\nj.load(f)\nj.loads(s)", "import json as j\n_json_load(f)\n_json_loads(s)"),
        ("import numpy", "import numpy"),
        ("'%d' % x % y", "_mod(_mod('%d' , x) , y)"),
        ("('%s'\n % (a, b))", "(_mod('%s'\n , (a, b)))"),
        ("n % 2 == 0", "n % 2 == 0"),
        ("n % m", "_mod(n , m)"),
        ("f'{n % m:>3} {x.get(1)}'", "f'{_mod(n , m):>3} {x.get(1)}'"),
        ("f'{n % m = }'", "f'{n % m = }'"),
        ("del d[k], x", "_delete(d, k); x = None"),
        ("del x[1:3]", "_delete(x, slice(1, 3, None))"),
        ("x[::2] = (a)", "_set_slice(x, slice(None, None, 2), (a))"),
        ("a[0], b.c = b.c, a[0]", "_t = list(( b.c, a[0])); a[0] = _t[0]; b.c = _t[1]"),
        ("a, b = b, a", "a, b = b, a"),
        ("max(d, key=d.get)", "_max(d, key=(lambda *_a: d.get(*_a)))"),
        ("d.get(k)", "d.get(k)"),
        ("map(str.strip, x)", "_map((lambda _s, *_a: _s.strip(*_a)), x)"),
        ("def map(f): pass\nmap(x)", "def map(f): pass\nmap(x)"),
        ("Path('a').glob('*')", "_m_glob(Path('a'), '*')"),
        ("import glob\nglob.glob('*')", "glob = _mod_glob\nglob.glob('*')"),
        ("print(x, file=f)", "_print(x, file=f)"),
        ("class E(Exception):\n    '''why'''\nx", "E = Exception\nx"),
        ("class A(object):\n    x = 1", "class A:\n    x = 1"),
        ("next((x for x in y), 0)", "next(iter((x for x in y)), 0)"),
        ("next(x for x in y)", "next(iter(x for x in y))"),
        ("a - (b < c)", "a - (int(b < c))"),
        ("n += not x", "n += int(not x)"),
        ("d |= e", "d = _or(d,  e)"),
        ("def f(x: int | None): return x | 1", "def f(x: int | None): return _or(x , 1)"),
        (
            "from datetime import timedelta as t\nt(hours=1.5)",
            "from datetime import timedelta as t\n_timedelta_of(hours=1.5)",
        ),
        (
            "def g():\n    yield 1\n    return",
            "def g():\n    _y = []\n    _y.append(( 1))\n    return iter(_y)\n    return iter(_y)",
        ),
        ("def g(): yield from x", "def g(): _y = []; _y.extend(( x)); return iter(_y)"),
        (
            "def g():\n    def h():\n        yield\n    return h",
            "def g():\n    def h():\n        _y = []\n        _y.append(None)\n        return iter(_y)\n    return h",
        ),
        (
            "from decimal import Decimal as D\nx += D('1') * 2",
            "D = _mod_decimal.Decimal\nx = _op_add(x,  _op_mul(D('1') , 2))",
        ),
    ] {
        assert_eq!(rewrite(source).unwrap().code, want, "{source}");
    }
}

#[test]
fn knows_the_line_of_every_line() {
    let source = "from os import (\n  sep,\n)\ndef g():\n    yield 1\nlast";
    let rewritten = rewrite(source).unwrap();
    let last = rewritten.code.lines().position(|line| line == "last").unwrap();
    assert_eq!(rewritten.lines[last], 6);
    assert_eq!(rewritten.lines.len(), rewritten.code.lines().count());
    assert_eq!(rewrite("x = 1\ny = (").unwrap_err().line, 2);
}
