import settings from '#settings';
import { depth } from '#deep/well';
import tool, { helper } from './tool.cjs';
export const apps = [{ name: settings.name, script: 'a.js', depth, tool: tool.helper(), helper: helper() }];
export default async () => ({ apps });
