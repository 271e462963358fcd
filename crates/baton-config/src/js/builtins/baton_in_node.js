// What baton.js asks of its host, for the real Node: the embedded engine has the same from Rust.
module.exports = (fields, noteDirectory) => {
  const fs = require('fs');
  const path = require('path');

  const snake = (written) =>
    [...written].reduce((text, c) => {
      if (c === '-') return `${text}_`;
      if (!/[A-Z]/.test(c)) return text + c;
      return `${text}${text && !text.endsWith('_') ? '_' : ''}${c.toLowerCase()}`;
    }, '');
  const field = (written) => (Object.hasOwn(fields, written) ? fields[written] : fields[snake(written)]);

  // The text up to the closing quote and the index behind it; nothing when it is never closed.
  const quoted = (chars, start, quote) => {
    let inner = '';
    for (let at = start; at < chars.length; at++) {
      const c = chars[at];
      if (c === quote) return [inner, at + 1];
      if (c !== '\\' || quote !== '"') {
        inner += c;
        continue;
      }
      const next = chars[++at];
      if (next === undefined) return undefined;
      if ('"\\`$'.includes(next)) inner += next;
      else if (next !== '\n') inner += `\\${next}`;
    }
    return undefined;
  };
  const words = (text) => {
    const chars = [...text];
    const out = [];
    let word;
    const add = (more) => { word = (word ?? '') + more; };
    for (let at = 0; at < chars.length; ) {
      const c = chars[at++];
      if (' \t\n\r'.includes(c)) {
        if (word !== undefined) out.push(word);
        word = undefined;
      } else if (c === '\\') {
        if (at >= chars.length) add('\\');
        else if (chars[at] !== '\n') add(chars[at]);
        at++;
      } else if (c === '"' || c === "'") {
        const found = quoted(chars, at, c);
        add(found ? found[0] : c);
        if (found) at = found[1];
      } else {
        add(c);
      }
    }
    if (word !== undefined) out.push(word);
    return out;
  };

  const regex = (pattern) => {
    let text = '^';
    let braces = 0;
    for (let at = 0; at < pattern.length; ) {
      const rest = pattern.slice(at);
      const c = String.fromCodePoint(rest.codePointAt(0));
      let length = c.length;
      if (rest.startsWith('**/')) [text, length] = [`${text}(?:[^/]+/)*`, 3];
      else if (rest.startsWith('**')) [text, length] = [`${text}.*`, 2];
      else if (c === '*') text += '[^/]*';
      else if (c === '?') text += '[^/]';
      else if (c === '[' && rest.indexOf(']') > 1) {
        const end = rest.indexOf(']');
        text += `[${rest.slice(1, end).replace(/^!/, '^').replaceAll('\\', '\\\\').replaceAll('[', '\\[')}]`;
        length = end + 1;
      } else if (c === '{' && rest.includes('}')) [text, braces] = [`${text}(?:`, braces + 1];
      else if (c === ',' && braces > 0) text += '|';
      else if (c === '}' && braces > 0) [text, braces] = [`${text})`, braces - 1];
      else text += c.replace(/[\\^$.*+?()[\]{}|/-]/, '\\$&');
      at += length;
    }
    return new RegExp(`${text}$`, 'u');
  };

  // Directories first where one path begins with the other, then by bytes.
  const order = (a, b) => {
    const [left, right] = [a.split('/'), b.split('/')];
    for (let at = 0; at < Math.min(left.length, right.length); at++) {
      const found = Buffer.compare(Buffer.from(left[at]), Buffer.from(right[at]));
      if (found) return found;
    }
    return left.length - right.length;
  };
  const isFile = (file) => fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  const glob = (pattern, base) => {
    const parts = pattern.split('/').filter((part, at) => at === 0 || (part !== '' && part !== '.'));
    const plain = parts.findIndex((part) => /[*?[{]/.test(part));
    const root = path.resolve(base, (plain < 0 ? parts : parts.slice(0, plain)).join('/') || (pattern.startsWith('/') ? '/' : '.'));
    if (plain < 0) return isFile(root) ? [root] : [];
    const rest = parts.slice(plain);
    let wanted;
    try {
      wanted = regex(rest.join('/'));
    } catch {
      return [];
    }
    const deepest = pattern.includes('**') ? Infinity : rest.length;
    const found = [];
    const directories = [root];
    while (directories.length) {
      const directory = directories.pop();
      noteDirectory(directory);
      let entries = [];
      try {
        entries = fs.readdirSync(directory, { withFileTypes: true });
      } catch {
        // It may come.
      }
      for (const entry of entries) {
        const whole = path.join(directory, entry.name);
        const inside = path.relative(root, whole);
        if (entry.isDirectory()) {
          const hidden = (entry.name.startsWith('.') || entry.name === 'node_modules') && !pattern.includes(entry.name);
          if (!hidden && inside.split('/').length < deepest) directories.push(whole);
        } else if (wanted.test(inside) && isFile(whole)) {
          found.push(whole);
        }
      }
    }
    return found.sort(order);
  };

  return { field, words, glob };
};
