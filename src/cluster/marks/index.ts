export type { HeardLayer, ToldLayer } from './layer.ts';
export { type Mark, MarksTable, type ScopedMark } from './marks-table.ts';
export { layerCodec, packLayer, unpackLayer } from './told.ts';
