//! Just enough DER to take an object that OpenSSL wrote apart, change it, and put it together.

/// A TLV: a tag with bytes or with children.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub(crate) tag: u8,
    pub(crate) body: Body,
}

/// What a TLV holds.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Bytes(Vec<u8>),
    Children(Vec<Node>),
}

impl Node {
    /// A primitive.
    pub(crate) fn leaf(tag: u8, bytes: &[u8]) -> Self {
        Self {
            tag,
            body: Body::Bytes(bytes.to_vec()),
        }
    }

    /// A constructed one.
    pub(crate) fn of(tag: u8, children: Vec<Self>) -> Self {
        Self {
            tag,
            body: Body::Children(children),
        }
    }

    /// Reads one object with definite lengths and low tag numbers.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let (node, rest) = Self::read(bytes);
        assert!(rest.is_empty(), "{} bytes behind the object", rest.len());
        node
    }

    fn read(bytes: &[u8]) -> (Self, &[u8]) {
        let (tag, first) = (bytes[0], bytes[1]);
        let count = if first < 0x80 {
            0
        } else {
            usize::from(first & 0x7f)
        };
        assert!(first != 0x80, "indefinite length");
        let length = if first < 0x80 {
            usize::from(first)
        } else {
            bytes[2..2 + count]
                .iter()
                .fold(0, |n, b| n << 8 | usize::from(*b))
        };
        let (body, rest) = bytes[2 + count..].split_at(length);
        let body = if tag & 0x20 == 0 {
            Body::Bytes(body.to_vec())
        } else {
            let mut children = Vec::new();
            let mut left = body;
            while !left.is_empty() {
                let (child, after) = Self::read(left);
                children.push(child);
                left = after;
            }
            Body::Children(children)
        };
        (Self { tag, body }, rest)
    }

    /// The object as DER.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let body = match &self.body {
            Body::Bytes(bytes) => bytes.clone(),
            Body::Children(children) => children.iter().flat_map(Self::encode).collect(),
        };
        let mut out = vec![self.tag];
        let length = body.len().to_be_bytes();
        let length = &length[length.iter().take_while(|b| **b == 0).count().min(7)..];
        if body.len() < 0x80 {
            out.extend(length);
        } else {
            out.push(0x80 | u8::try_from(length.len()).unwrap());
            out.extend(length);
        }
        out.extend(body);
        out
    }

    /// A descendant by child numbers.
    pub(crate) fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, n| node.child(*n))
    }

    /// A child by number.
    pub(crate) fn child(&mut self, n: usize) -> &mut Self {
        match &mut self.body {
            Body::Children(children) => &mut children[n],
            Body::Bytes(_) => panic!("tag {:#x} has no children", self.tag),
        }
    }

    /// How many children there are.
    pub(crate) fn children(&self) -> usize {
        match &self.body {
            Body::Children(children) => children.len(),
            Body::Bytes(_) => 0,
        }
    }

    /// The bytes of a primitive.
    pub(crate) fn bytes(&mut self) -> &mut Vec<u8> {
        match &mut self.body {
            Body::Bytes(bytes) => bytes,
            Body::Children(_) => panic!("tag {:#x} is constructed", self.tag),
        }
    }
}
