// Keeps the bytes of a character that is not complete yet.
class StringDecoder {
  constructor(encoding = 'utf8') {
    this.encoding = encoding;
    this.rest = Buffer.alloc(0);
  }
  write(bytes) {
    if (typeof bytes === 'string') return bytes;
    const all = Buffer.concat([this.rest, Buffer.from(bytes)]);
    let whole = all.length;
    if (/^utf-?8$/i.test(this.encoding)) {
      for (let back = 1; back <= Math.min(3, all.length); back++) {
        const byte = all[all.length - back];
        if ((byte & 0xc0) === 0x80) continue;
        const needed = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
        if (needed > back) whole -= back;
        break;
      }
    }
    this.rest = all.subarray(whole);
    return all.subarray(0, whole).toString(this.encoding);
  }
  end(bytes) {
    const text = (bytes === undefined ? '' : this.write(bytes)) + (this.rest.length ? this.rest.toString(this.encoding) : '');
    this.rest = Buffer.alloc(0);
    return text;
  }
}
module.exports = { StringDecoder };
