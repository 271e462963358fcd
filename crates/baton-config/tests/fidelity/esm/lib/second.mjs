(globalThis.log ??= []).push('second'); process.env.SECOND = '1';
