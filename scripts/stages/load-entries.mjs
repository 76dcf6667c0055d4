// Imports every module named on the command line and says which do not load. A file of its own, because code passed to
// `node --eval` sees `require` and `module` as globals, which would hide their use in a bundle.
for (const entry of process.argv.slice(2)) {
  try {
    await import(entry);
  } catch (error) {
    console.log(`${entry} does not load:`, error);
    process.exitCode = 1;
  }
}
