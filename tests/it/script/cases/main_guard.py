import sys

def load(path):
    with open(path) as f:
        return [line.strip() for line in f if line.strip()]

def main():
    lines = load('server.log')
    warnings = [l for l in lines if ' WARN ' in l]
    print(len(lines), len(warnings))
    if not warnings:
        sys.exit(1)
    sys.exit(0)

if __name__ == '__main__':
    main()

#--- what it prints (>), writes (+ and |)
# > 8 1
