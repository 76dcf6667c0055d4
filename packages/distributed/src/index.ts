// The public surface of @xmoe/distributed: what processes can do with each other, and a run of one. MPI is @xmoe/distributed/node.
export { createBackgroundSums, type BackgroundSums, type BackgroundSumsOptions } from './background-sums.js';
export { createBlocks, type Blocks } from './blocks.js';
export type { BackgroundComm, Comm, CommArray, ReduceOperation, Transfer } from './comm.js';
export { anyNow, byFirst, fromFirst, gatherValues, requireSame } from './gather.js';
export { groupRanks, oneGroup, type RankGroups } from './rank-groups.js';
export { BUCKET, addTo, checkTreeRanks, createSumByHalves, reduceInOrder, reducePart, reducePartInOrder, shareOf, sumByHalves, type RunningSum, type Span } from './reduce-in-order.js';
export { shareOut, type ShareOptions } from './share-out.js';
export { SoloComm } from './solo-comm.js';
