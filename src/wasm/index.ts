export { PagesKernel } from './pages.ts';
