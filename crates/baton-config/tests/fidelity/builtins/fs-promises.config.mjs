import { readFile, readdir, stat, access } from 'node:fs/promises';
import { promises } from 'fs';
const here = new URL('data/', import.meta.url);
const failed = await access(new URL('none', here)).then(() => 'there', (error) => error.code);
export default {
  apps: [],
  json: JSON.parse(await readFile(new URL('b.json', here), 'utf8')),
  names: (await readdir(here)).sort(),
  size: (await stat(new URL('a.txt', here))).size,
  failed,
  same: (await promises.readFile(new URL('a.txt', here))).length,
};
