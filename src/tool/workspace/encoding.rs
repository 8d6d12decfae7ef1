//! Bytes of a file → text, or what the bytes are instead.
//!
//! Text is UTF-8, UTF-16 with a byte order mark, or, where no other byte sequence of the file is UTF-8,
//! Windows-1252 (what older spreadsheets export). Whatever was assumed is told in a note.

/// First bytes of files that people keep beside their texts.
const SIGNATURES: [(&[u8], &str); 15] = [
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"(\xb5\x2f\xfd", "a zstd archive"),
    (b"\xd0\xcf\x11\xe0", "an old office document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\x7fELF", "a program"),
    (b"GGUF", "a model file"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
    (b"RIFF", "a sound or video recording"),
];

/// Windows-1252 in the range where it differs from Latin-1 (0x80 to 0x9f); unassigned bytes are U+FFFD.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{fffd}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{fffd}', 'Ž', '\u{fffd}', '\u{fffd}',
    '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{fffd}', 'ž', 'Ÿ',
];

/// Bytes that are searched for a zero byte, which text never holds.
const HEAD: usize = 8192;

/// The text and what was assumed about its encoding, or what the bytes are instead of text.
pub fn decode(bytes: &[u8]) -> Result<(String, Option<&'static str>), &'static str> {
    let has_zero = bytes[..bytes.len().min(HEAD)].contains(&0);
    // A text may start with the word RIFF; a recording has a zero byte soon after.
    let is_sure = |signature: &[u8]| has_zero || signature == b"%PDF-" || !signature.iter().all(u8::is_ascii_graphic);
    let known = |(signature, _): &&(&[u8], &str)| bytes.starts_with(signature) && is_sure(signature);
    if let Some((_, kind)) = SIGNATURES.iter().find(known) {
        return Err(kind);
    }
    match bytes {
        [0xff, 0xfe, rest @ ..] => Ok(decode_utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Ok(decode_utf16(rest, u16::from_be_bytes)),
        _ if has_zero => Err("a binary file"),
        [0xef, 0xbb, 0xbf, rest @ ..] => Ok(decode_bytes(rest)),
        _ => Ok(decode_bytes(bytes)),
    }
}

fn decode_bytes(bytes: &[u8]) -> (String, Option<&'static str>) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), None);
    }
    if bytes.utf8_chunks().any(|chunk| !chunk.valid().is_ascii()) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        return (text, Some("holds bytes that are not UTF-8; they are shown as \u{fffd}"));
    }
    (bytes.iter().map(|&byte| windows_1252(byte)).collect(), Some("is not UTF-8; it was read as Windows-1252"))
}

fn windows_1252(byte: u8) -> char {
    if (0x80..0xa0).contains(&byte) { WINDOWS_1252[usize::from(byte) - 0x80] } else { char::from(byte) }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> (String, Option<&'static str>) {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    (String::from_utf16_lossy(&units), Some("was read as UTF-16"))
}
