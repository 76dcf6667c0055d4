// `node scripts/two-hosts.mjs [--rate 1gbit] -- COMMAND…`: runs a command where `--hosts 10.77.0.1:2,10.77.0.2:2` of launch are two "hosts" with a
// link of that rate between them (`none`: as fast as it goes): network namespaces of this machine. What they are is in lib/two-hosts.mjs. Ends with
// the code of the command; where namespaces are not permitted, says so and ends with 3.
import { foreground } from './lib/child.mjs';
import { openTwoHosts } from './lib/two-hosts.mjs';

const NOT_PERMITTED = 3;
const args = process.argv.slice(2);
const rate = args[0] === '--rate' ? args.splice(0, 2)[1] : '1gbit';
if (args[0] === '--') args.shift();
if (args.length === 0 || rate === undefined || args[0].startsWith('-')) {
  console.error('usage: node scripts/two-hosts.mjs [--rate 1gbit|none] -- COMMAND…');
  process.exit(2);
}
const hosts = openTwoHosts(rate === 'none' ? null : rate);
if ('absent' in hosts) {
  console.error(hosts.absent);
  process.exit(NOT_PERMITTED);
}
const [command, ...rest] = hosts.command(args);
try {
  process.exitCode = await foreground(command, rest, { env: { ...process.env, ...hosts.env } });
} finally {
  hosts.close();
}
