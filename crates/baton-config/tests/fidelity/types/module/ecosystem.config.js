import { apps } from '#base'; import * as cond from '#cond'; import { apps as self } from 'typed/base'; import old from './old.cjs';
export default { apps, same: [cond.apps === apps, self === apps], old };
