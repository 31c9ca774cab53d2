export type { HeardLayer, ToldLayer } from './layer.ts';
export { type LayerSummary, type Mark, MarksTable, type ScopedMark } from './marks-table.ts';
export { layerCodec, packLayer, unpackLayer } from './told.ts';
