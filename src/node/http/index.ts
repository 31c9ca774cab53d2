export { SocketHttp } from './server.ts';
