# Module textwrap.
def _textwrap_wrap(text, width=70, **options):
    lines, line = [], ''
    for word in text.split():
        if line and len(line) + 1 + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = word if not line else line + ' ' + word
    return lines + [line] if line else lines


class _mod_textwrap:
    wrap = _textwrap_wrap

    def fill(text, width=70, **options):
        return '\n'.join(_textwrap_wrap(text, width))

    def indent(text, prefix):
        return ''.join([prefix + line if line.strip() else line for line in text.splitlines(True)])

    def shorten(text, width, placeholder=' [...]', **options):
        text = ' '.join(text.split())
        if len(text) <= width:
            return text
        kept = ''
        for word in text.split():
            longer = word if not kept else kept + ' ' + word
            if len(longer) + len(placeholder) > width:
                break
            kept = longer
        return kept + placeholder

    def dedent(text):
        lines = text.split('\n')
        blanks = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
        margin = min(blanks, default=0)
        return '\n'.join([line[margin:] if line.strip() else '' for line in lines])
