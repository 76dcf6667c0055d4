// `npm run tarballs -- FOLDER`: every published package as the file that a registry would hand out, built first.
import './lib/node-version.mjs';
import { resolve } from 'node:path';

const HELP = `npm run tarballs -- FOLDER

  Builds every published package and packs each into FOLDER. In a project of your own, npm install FOLDER/*.tgz
  then installs the packages, and the programs: npx xmoe-lm, npx xmoe-nmt.

  -h, --help   this text
`;

const args = process.argv.slice(2).filter((argument) => argument !== '--');
const [folder] = args;
if (args.some((argument) => argument === '--help' || argument === '-h')) {
  process.stdout.write(HELP);
} else if (folder === undefined || folder.startsWith('-') || args.length > 1) {
  process.stderr.write(`tarballs: ${folder === undefined ? 'no folder named' : `one folder, not ${JSON.stringify(args.join(' '))}`} (see --help)\n`);
  process.exitCode = 2;
} else {
  const { installIfNeeded, step, turbo } = await import('./lib/progress.mjs');
  const { publicPackages } = await import('./lib/repository.mjs');
  const { pack } = await import('./lib/tarballs.mjs');
  await installIfNeeded();
  await step('Building', () => turbo(['build']));
  const tarballs = await pack(publicPackages().map(({ manifest }) => manifest.name), resolve(folder));
  process.stdout.write(`${Object.keys(tarballs).length} tarballs in ${folder}\n`);
}
