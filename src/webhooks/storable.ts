/**
 * The beginning of a text that came from outside, as JSON in the database can hold it: without
 * NUL, and without half a character, such as one that was cut in two.
 */
export function storable(text: string, length: number): string {
  return text.slice(0, length).replace(/\0|\p{Surrogate}/gu, '\uFFFD');
}
