import dotenv, { parse } from 'dotenv';
import 'dotenv/config';
export const apps = [{ name: 'a', script: 'a.js', env: { ...parse('A=1\nB="two"'), TOKEN: process.env.TOKEN } }];
export const same = dotenv.parse === parse;
