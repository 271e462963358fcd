import { base } from './helper.mjs';
export const other = () => base.watch.length;
