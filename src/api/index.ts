export { answerCall, type ApiAnswer } from './answer.ts';
export type { AnswerChunks, ApiCall, QueryContext, QueryEndpoint } from './call.ts';
export { type ClusterControl, clusterStatusHandler, decommissionHandler, removeHandler } from './cluster.ts';
export { type DeleteSeriesDependencies, deleteSeriesHandler } from './delete-series.ts';
export { ApiError, errorAnswer, type ErrorType, toApiError } from './errors.ts';
export { Parameters, readParameterTexts } from './parameters.ts';
export {
  alertsHandler,
  buildInfoHandler,
  configHandler,
  exemplarsHandler,
  flagsHandler,
  healthyHandler,
  metadataHandler,
  readyHandler,
  rulesHandler,
  type RuntimeInfo,
  runtimeInfoHandler,
} from './status.ts';
export { type WriteBody, writeHandler, type WriteLimits, type WriteQueue, type WriteResult } from './write.ts';
