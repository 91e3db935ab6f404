export { type App, type AppOptions, createApp, type Log } from './app.js';
export { type Listening, listen } from './http/node.js';
