# What module sys lacks.
_sys_argv = ['script.py']
_sys_stdout = _Console()
_sys_stderr = _Console()
_sys_stdin = _File('<stdin>', 'r', '', False)
_sys_path = []
_sys_maxsize = 9223372036854775807


def _sys_exit(code=None):
    exit(code)
