export { type Mark, MarksTable, type ScopedMark } from './marks-table.ts';
