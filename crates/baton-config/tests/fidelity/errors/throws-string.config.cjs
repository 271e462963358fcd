throw 'plain text';
