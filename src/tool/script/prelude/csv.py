# Module csv. Rows are split in the child; lines end with a line feed when written.
class _csv_Reader:
    def __init__(self, rows):
        self._rows = rows
        self.line_num = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.line_num >= len(self._rows):
            raise StopIteration
        self.line_num = self.line_num + 1
        return self._rows[self.line_num - 1]


def _csv_lines(source):
    if isinstance(source, _File):
        return source.read()
    return '\n'.join([line.rstrip('\r\n') for line in source])


def _csv_rows(source, dialect, options):
    if isinstance(dialect, str) and dialect == 'excel-tab':
        options = {'delimiter': '\t', **options}
    elif dialect is not None and not isinstance(dialect, str):
        options = {'delimiter': dialect.delimiter, **options}
    delimiter = options.get('delimiter', ',')
    quote = options.get('quotechar', '"')
    rows = _native('split_csv', _csv_lines(source), delimiter, '' if quote is None else quote, options.get('skipinitialspace', False))
    return rows


def _csv_reader(source, dialect=None, **options):
    return _csv_Reader(_csv_rows(source, dialect, options))


class _csv_DictReader:
    def __init__(self, source, fieldnames=None, restkey=None, restval=None, dialect=None, **options):
        rows = [row for row in _csv_rows(source, dialect, options) if row]
        if fieldnames is None:
            fieldnames = rows[0] if rows else None
            rows = rows[1:]
        self.fieldnames = None if fieldnames is None else list(fieldnames)
        self._rest = (restkey, restval)
        self._rows = rows
        self.line_num = 0

    def __iter__(self):
        return self

    def __next__(self):
        if self.line_num >= len(self._rows):
            raise StopIteration
        row = self._rows[self.line_num]
        self.line_num = self.line_num + 1
        record = dict(zip(self.fieldnames, row))
        n = len(self.fieldnames)
        if len(row) > n:
            record[self._rest[0]] = row[n:]
        for name in self.fieldnames[len(row):]:
            record[name] = self._rest[1]
        return record


def _csv_text(value):
    return '' if value is None else str(value)


class _csv_Writer:
    def __init__(self, file, options):
        self._file = file
        self._delimiter = options.get('delimiter', ',')
        self._quote = options.get('quotechar', '"')
        self._quoting = options.get('quoting', 0)
        end = options.get('lineterminator', '\n')
        self._end = '\n' if end == '\r\n' else end

    def _cell(self, value):
        text = _csv_text(value)
        special = [self._delimiter, self._quote, '\n', '\r']
        needed = self._quoting == 1 or self._quoting == 2 and not isinstance(value, (int, float))
        if needed or any([mark in text for mark in special]):
            return self._quote + text.replace(self._quote, self._quote * 2) + self._quote
        return text

    def writerow(self, row):
        cells = [self._cell(value) for value in row]
        if len(cells) == 1 and cells[0] == '':
            cells = ['""']
        return self._file.write(self._delimiter.join(cells) + self._end)

    def writerows(self, rows):
        for row in rows:
            self.writerow(row)


def _csv_writer(file, dialect=None, **options):
    if dialect == 'excel-tab':
        options = {'delimiter': '\t', **options}
    return _csv_Writer(file, options)


class _csv_DictWriter:
    def __init__(self, file, fieldnames, restval='', extrasaction='raise', dialect=None, **options):
        self.fieldnames = list(fieldnames)
        self._restval = restval
        self._ignore = extrasaction == 'ignore'
        self.writer = _csv_writer(file, dialect, **options)

    def writeheader(self):
        return self.writer.writerow(self.fieldnames)

    def writerow(self, row):
        extra = [repr(key) for key in row if key not in self.fieldnames]
        if extra and not self._ignore:
            raise ValueError('dict contains fields not in fieldnames: ' + ', '.join(extra))
        return self.writer.writerow([row.get(name, self._restval) for name in self.fieldnames])

    def writerows(self, rows):
        for row in rows:
            self.writerow(row)


class _csv_Sniffer:
    def sniff(self, sample, delimiters=None):
        first = sample.split('\n')[0]
        counts = [(first.count(mark), mark) for mark in (delimiters or ',;\t|')]
        dialect = _csv_Dialect()
        dialect.delimiter = max(counts, key=lambda pair: pair[0])[1]
        return dialect

    def has_header(self, sample):
        return not any([cell.strip().replace('.', '', 1).isdigit() for cell in sample.split('\n')[0].split(self.sniff(sample).delimiter)])


class _csv_Dialect:
    def __init__(self):
        self.delimiter = ','


class _mod_csv:
    QUOTE_MINIMAL = 0
    QUOTE_ALL = 1
    QUOTE_NONNUMERIC = 2
    QUOTE_NONE = 3
    Error = ValueError
    reader = _csv_reader
    writer = _csv_writer
    DictReader = _csv_DictReader
    DictWriter = _csv_DictWriter
    Sniffer = _csv_Sniffer
    excel = None
    excel_tab = 'excel-tab'

    def field_size_limit(limit=None):
        return 131072
