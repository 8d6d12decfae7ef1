# Module string.
class _string_Template:
    def __init__(self, template):
        self.template = template

    def substitute(self, *maps, **values):
        return self._fill(maps, values, True)

    def safe_substitute(self, *maps, **values):
        return self._fill(maps, values, False)

    def _fill(self, maps, values, strict):
        known = {}
        for part in maps:
            known.update(part)
        known.update(values)
        text = self.template
        for name in sorted(known, key=lambda name: -len(name)):
            text = text.replace('${' + name + '}', str(known[name])).replace('$' + name, str(known[name]))
        if strict and '$' in text.replace('$$', ''):
            raise KeyError(text[text.find('$') + 1:].split()[0])
        return text.replace('$$', '$')


class _mod_string:
    ascii_lowercase = 'abcdefghijklmnopqrstuvwxyz'
    ascii_uppercase = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
    ascii_letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ'
    digits = '0123456789'
    hexdigits = '0123456789abcdefABCDEF'
    punctuation = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'
    whitespace = ' \t\n\r\x0b\x0c'
    Template = _string_Template

    def capwords(text, sep=None):
        return (sep or ' ').join([word.capitalize() for word in text.split(sep)])
