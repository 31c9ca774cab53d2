export { partitionsCount, type PlacedMember, Placement } from './placement.ts';
