// What TensorFlow is told before it is loaded so that the same steps give the same bits. Not what products are computed in: that is the
// backend's `products`.

/**
 * On processors with AVX-512 VNNI TensorFlow takes the kernels of oneDNN by default, and with them the same training twice in one process differs in
 * its last bits. Off, unless it was set before: `TF_ENABLE_ONEDNN_OPTS=1` takes them. Rounded products are not for who compares bits, and are
 * 1.8 times as fast with them.
 */
export function keepBits(env: NodeJS.ProcessEnv, products: string | undefined): void {
  if (!products || products === 'float32') env['TF_ENABLE_ONEDNN_OPTS'] ??= '0';
}
