export { Dropper } from './dropper.ts';
