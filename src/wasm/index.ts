export { PagesKernel } from './pages.ts';
export { Head } from './head.ts';
export * from './head-contract.ts';
export { type HeadFrame, HeadReader, type RefSet } from './head-reader.ts';
