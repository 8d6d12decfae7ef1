# Module io: a text file that is only in memory.
def _io_StringIO(text='', newline='\n'):
    memory = _File('<memory>', 'r+', text, False)
    memory.flush = lambda: None
    memory.close = lambda: None
    memory.getvalue = lambda: _io_value(memory)
    return memory


def _io_value(memory):
    memory._join()
    return memory._text


class _mod_io:
    StringIO = _io_StringIO
    open = open
