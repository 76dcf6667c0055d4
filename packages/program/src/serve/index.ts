// The entry @xmoe/program/serve: runs behind HTTP. What is answered with a run is the program's.
export { type Call, type EventStream, type Handler } from './call.js';
export { type PageFacts } from './page.js';
export { Refusal } from './refusal.js';
export { MOST_ROUTED_CHARACTERS, routingAnswer } from './routing-answer.js';
export { addServeCommand, unknownModel, type OpenService, type ServeOptions, type Service } from './serve-command.js';
