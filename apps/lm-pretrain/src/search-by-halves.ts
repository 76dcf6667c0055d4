// A threshold is searched for between 0 and 1, where what is asked changes once on the way.

/** The middle of what is left after so many halvings. @param isBelow whether what is searched lies above the value that it is asked about */
export async function searchByHalves(halvings: number, isBelow: (value: number) => Promise<boolean>): Promise<number> {
  let [low, high] = [0, 1];
  for (let step = 0; step < halvings; step++) {
    const middle = (low + high) / 2;
    if (await isBelow(middle)) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
