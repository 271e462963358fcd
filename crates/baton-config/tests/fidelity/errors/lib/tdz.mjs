import { a } from '../cycle-tdz.config.mjs';
export const b = a;
