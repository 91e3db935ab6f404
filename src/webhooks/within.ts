/**
 * What a promise comes to; `otherwise` where that takes longer than some milliseconds.
 *
 * @throws what it fails with in that time.
 */
export async function within<T>(milliseconds: number, asked: Promise<T>, otherwise: T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(resolve, milliseconds, otherwise);
  });
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
