export { apps as default } from './lib/base.mjs';
export * from './lib/star.mjs';
export * as grouped from './lib/star.mjs';
