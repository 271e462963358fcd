globalThis.first = typeof globalThis.order;
