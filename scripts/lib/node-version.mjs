// Stops with one clear line on a Node that is too old. Written so that an old Node can still read it.
const major = Number(process.versions.node.split('.')[0]);
if (major < 20) {
  process.stderr.write(`xmoe needs Node 20 or newer; this is Node ${process.versions.node} (${process.execPath}).\n`);
  process.exit(1);
}
