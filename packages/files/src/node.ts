// The entry @xmoe/files/node: files that are written whole or not at all, and who a process is.
export {
  hashFile, makeDirectory, readFully, syncDirectory, syncParent, writeFile, writeFully, type ByteSink, type ByteSource, type FileRecord,
} from './durable/file-io.js';
export { isAlive, isTagAlive, ownIdentity, ownTag, type ProcessIdentity } from './durable/process-identity.js';
export {
  chunksOf, makeTemporary, removeDirectory, removeStaleTemporaries, replaceFile, temporaryName, type FileContent,
} from './durable/replace-file.js';
