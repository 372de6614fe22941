"""Answers and golds by kind: pairs that are right, pairs that are not, and golds of which each equals itself.

One pair per line, answer === gold. The kinds are those of school, contest, college and physics benchmarks.
"""

RIGHT = r"""
\[5\] === 5
(B) 42. === B
(B) 42 === 42
\frac12\% === 0.005
\frac12\% === 0.5
50 percent === 0.5
50\% === \frac{1}{2}
50 per cent === 50
0.1\overline{6} === 1/6
0.1\dot{6} === \frac{1}{6}
0.(3) === 1/3
0.333... === \frac13
0.\overline{142857} === 1/7
9 (apples) === 9
9 === 9 (apples)
9 \text{ (apples)} === 9
2½ === 2.5
2 1/2 === \frac52
√(x+1) === \sqrt{x+1}
∛8 === 2
x³ === x^3
x⁻¹ === \frac1x
π/2 === \frac{\pi}{2}
(−∞, 3] === (-\infty, 3]
(-∞, 2)∪(3, ∞) === (-\infty,2) \cup (3,\infty)
５ === 5
50％ === 0.5
5; === 5
5! === 120
\boxed{7} === 7
1\,000 === 1000
12{,}345 === 12345
12,\!345 === 12345
$1,234.50 === 1234.5
x=3 === 3
3 === x=3
x = 1 \text{ or } x = 2 === 1, 2
x=1, x=2 === \{1,2\}
x_1=1, x_2=2 === 1,2
x=1, y=2 === (1,2)
y=2, x=1 === x=1, y=2
(x,y)=(1,2) === (1,2)
\{1,2\} === 2, 1
\{5\} === 5
2x+y=4 === y=4-2x
4 = 2x+y === 2x+y=4
x>2 === 2<x
2x>4 === x>2
-x < -2 === x > 2
1<x<2 === 2>x>1
(1,2) === 1<x<2
(2,\infty) === x>2
x \in (2,\infty) === x>2
\pm 2 === 2, -2
1 \pm \sqrt{3} === 1+\sqrt3, 1-\sqrt3
x = \pm 2 === x=2 \text{ or } x=-2
\begin{pmatrix}1\\2\end{pmatrix} === \begin{bmatrix}1\\2\end{bmatrix}
4-\mathrm{i} === 4-i
f(x)=2x+1 === 2x+1
f(x)=2x+1 === f(x)=1+2x
\sin^2 x+\cos^2 x === 1
\log_2 8 === 3
e^{i\pi} === e^{\pi i}
\frac{\sqrt{2}}{2} === \frac{1}{\sqrt{2}}
\sqrt{3+2\sqrt2} === 1+\sqrt2
5 million === 5000000
5 \text{ million} === 5 \times 10^6
3 \text{ pm} === 3 \text{ p.m.}
3 p.m. === 3 \text{ pm}
18 dollars === \$18
864 \mbox{ inches}^2 === 864
864 square inches === 864 \text{ in}^2
90° === 90^\circ
90 degrees === 90^{\circ}
no solution === \text{No solution}
(C) === C
c === C
Evelyn === \text{Evelyn}
6.63e-34 === 6.63 \times 10^{-34}
0.333333 === \frac13
3.141593 === \pi
(1+x)(1-x) === 1-x^2
n(n+1)/2 === \frac{n^2+n}{2}
k(x-1)(x-2) === k(x^2-3x+2)
a(b+c) === ab+ac
P(1+r)^2 === P + 2Pr + Pr^2
2^{n+1}-2 === 2(2^n-1)
\frac{n!}{2} === \frac12 n!
C_{5}^{2} === C_5^2
\{x \mid x>2\} === \{x|x>2\}
\{x|x>2\} === \{ x | x > 2 \}
y = 2x === 2x = y
\frac{dy}{dx} = 2x === 2x
AB = 5 === 5
\angle ABC = 60^\circ === 60
\text{Area} = 12 === 12
1:2 === 1:2
\frac{1}{2} : 1 === \frac12:1
2^3\cdot 3 === 24
3\mathbf{i}+4\mathbf{j} === 4\mathbf j + 3 \mathbf i
\emptyset === \{\}
\varnothing === \emptyset
\mathbb{R} === ℝ
\text{(A) and (C)} === \text{(A) and (C)}
A, C === C, A
10:30 === 10:30
x\ne 2 === 2 \ne x
-\frac{1}{2} === \frac{-1}{2}
\frac{1}{-2} === -1/2
|x-1| === |x-1|
\lfloor x \rfloor === \lfloor x \rfloor
\int_0^1 2x\,dx === 1
\sum_{k=1}^{3} k === 6
\binom{5}{2} === 10
\max(a,b) === \max(a,b)
2\sin x\cos x === \sin 2x
\frac{3}{4} \text{ cup} === 3/4
12 cm === 12 centimeters
"""

WRONG = r"""
2+2=5 === 2+2=4
3x=6 === 6
x+2=5 === 5
\{1,2\} === (1,2)
(1,2) === \{1,2\}
[1,2] === (1,2)
[1,2] === 1,2
2\pi r === 2\pi R
\sin R === \sin r
r === R
5 km === 5 cm
5 \text{ cm}^2 === 5 \text{ cm}^3
125 === 5 \text{ cm}^3
5 million === 5
5 million === 5 thousand
5 million === 5 billion
3 am === 3 pm
1e-13 === 1e-14
0.0000001 === 0.0000002
\sqrt{10^{60}+1} === 10^{30}
\sqrt{10^{30}+1} === 10^{15}
\sin(10^{-9}) === 10^{-9}
\cos(10^{-9}) === 1
\frac{1}{10^{9}} === 0
e^{-50} === 0
\int_0^{10^{-5}} x dx === 0
10^{-20} === \int_0^1 0 dx
x>2 === x<2
x \ge 2 === x>2
1<x<2 === 1 \le x <2
1 < x < 2 === (1,2)
x<1 or x>2 === x<1 and x>2
f(x)=2x === g(x)=2x
f(2)=5 === f(2)=6
x=5 === y=5
(1 2, 3) === (12,3)
x^{1 2} === x^{12}
\sin x === \sin y
\ln x === \ln y
f(x) === f(y)
f(2x) === 2f(x)
P(A) === PA
P(A|B) === P(B|A)
\log x === \ln x
a_1 === a_2
x' === x
f'(x) === f(x)
\{1,2,2\} === \{1,2,3\}
1,1,2 === 1,2
\pm 2 === 2
2 === \pm 2
(1,2,3) === (3,2,1)
ABC === ACB
\angle ABC === \angle ACB
\overline{AB} === \overline{AC}
\text{5 or 6} === 5
1:2 === 2:1
1:2 === 1
10:30 === 10
\mathbb{R} === \mathbb{Z}
\sqrt{2} === 1.41
0.33 === \frac13
999999.9999 === 1000000
12 === 12\frac{1}{2}
2\frac{x}{3} === 2+\frac{x}{3}
\log_2 8 === \log_3 8
\binom{5}{2} === \binom{5}{1}
\frac{10}{2} \text{ and } 3 === 5
\{x|x>2\} === \{x|x<2\}
\{x|x>2\} === \{x|x\ge 2\}
\int x dx === \int y dx
\vec{a} === \vec{b}
\sin^{-1}x === \frac{1}{\sin x}
2^{-1074} === 0
10^{100}+1 === 10^{100}
\pi + 10^{-30} === \pi
x+10^{-20} === x
\sin x + 10^{-20} === \sin x
1.0000001x === x
0.999999999 === 1
"""

GOLDS = r"""
5
-17
3.50
1,080
\frac{3}{4}
-\frac{7}{12}
2\sqrt{5}
\frac{1+\sqrt{5}}{2}
4-\mathrm{i}
-3+4 \mathrm{i}
2 e^{i \pi / 3}
\sqrt[3]{2}
\pi
\frac{\pi}{6}
x^2+3 x-4
(x+2)(x-5)
y=2 x-3
y = C_1 e^{2x} + C_2 e^{-x}
y(t) = C_1 e^{t} + C_2 t e^{t}
\frac{d y}{d x}=\frac{x}{y}
x=\frac{1}{2}
x = -1, x = 4
x=3 \text{ or } x=-2
x_1 = 1, x_2 = -1
(-\infty, 2) \cup (3, \infty)
[0,+\infty)
(-1,1]
\left(\frac{1}{2}, \frac{3}{4}\right)
(1, -2, 3)
\{1,2,3\}
\{x|-2\leq x<1\}
\{x \mid x \neq 0\}
\left\{x \in \mathbb{R} \mid x>0\right\}
\{(x, y) \mid x+y=1\}
\varnothing
\emptyset
\mathbb{R}
\mathbf{R}
\mathbb{R} \setminus\{0\}
\complement_U A
A \cap B
A \subseteq B
E_{1}
E_n = -\frac{13.6}{n^2}
a_{n}=2 n-1
a_n = 2^{n-1}
S_{n}=n^{2}+n
C_{5}^{2} A_{3}^{3}
\mathrm{A}
\text{B}
(C)
ABD
①③
②
\text{充分不必要条件}
必要不充分条件
6.63 \times 10^{-34}
1.5e-7
4.5e33
3.2 \times 10^{8} \text{ m/s}
9.8 \mathrm{~m} / \mathrm{s}^{2}
45 \text{ km/h}
12 \mathrm{~cm}
18 \pi \mathrm{~cm}^{3}
30^{\circ}
60°
\frac{\pi}{3} \text{ radians}
25\%
\$ 4.50
\$1,250.00
5 \text{ million}
7:30 \text{ p.m.}
10:45
3:2
1:\sqrt{3}:2
\text{Monday}
\text{no solution}
\text{Yes}
True
diverges
\text{The series converges}
undefined
DNE
\infty
-\infty
x \geq 3
x<-1 \text{ or } x>4
-2 \leq x \leq 5
0<a<1
x \neq 2
k=\pm 2
\pm \sqrt{3}
1 \pm 2 i
\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}
\begin{bmatrix} 1 \\ 0 \\ -1 \end{bmatrix}
\begin{cases} x = 1 \\ y = 2 \end{cases}
\left|\begin{array}{cc} a & b \\ c & d \end{array}\right|
\vec{a} \cdot \vec{b}
\overrightarrow{A B}
3 \mathbf{i}-2 \mathbf{j}+\mathbf{k}
\hat{\mathbf{x}}
\langle 1, 2, 3\rangle
\|x\|
|x-1|+|x+1|
\lfloor x \rfloor
\sin x+\cos x
\sin ^{2} \theta
\tan^{-1} \frac{3}{4}
\arctan(2)
\ln |x|+C
\frac{1}{2} \ln(x^2+1)+C
\int_{0}^{1} x^{2} d x
\sum_{n=0}^{\infty} \frac{x^{n}}{n !}
\sum_{k=1}^{n} k^2
\lim _{x \rightarrow 0} \frac{\sin x}{x}
\prod_{i=1}^{n} a_i
\binom{n}{k}
n!
(n-1)!
\frac{n(n+1)}{2}
f(x)=x^{2}+1
f'(x)=2x
f^{-1}(x) = \frac{x-1}{2}
g \circ f
P(A \mid B)
P(X=2)=\frac{3}{8}
\frac{\partial f}{\partial x}=2 x y
x \equiv 3 \pmod{7}
101_2
2^{10}
2^{n+1}-1
10^{10^{10}}
\log _{2} 3
\log_{10}(x)
\Omega(n \log n)
O(n^2)
\Theta(\sqrt{n})
\alpha+\beta
\lambda_1 = 2, \lambda_2 = 3
\frac{k q_{1} q_{2}}{r^{2}}
m v^{2} / 2
\hbar \omega
\frac{1}{4 \pi \epsilon_0}
\sqrt{\frac{2 G M}{R}}
I(0)
I_{0} e^{-t / \tau}
\frac{Q s}{s^{2}+1}
\nabla \cdot \mathbf{E}=\frac{\rho}{\epsilon_{0}}
\triangle ABC
\angle ABC = 60^{\circ}
AB \parallel CD
l \perp \alpha
p \rightarrow q
p \land \neg q
H_2O
NaCl
2 H_{2}+O_{2} \rightarrow 2 H_{2} O
x y^{\prime}-y=0
y^{\prime \prime}+4 y=0
\dot{x} = -k x
\frac{dy}{dt} = k(y - 20)
\text{Area} = 12
3 \text{ apples and } 4 \text{ oranges}
9 (apples)
3 hours and 20 minutes
2 1/2
1 000 000
0.\overline{3}
0.1\dot{6}
3.14\ldots
1, 2, 3, \ldots
1,3,5,7
n \in \mathbb{Z}
k\pi + \frac{\pi}{4}, k \in \mathbb{Z}
[k\pi-\frac{\pi}{3}, k\pi+\frac{\pi}{6}](k \in \mathbf{Z})
x=2k\pi, k \in Z
2:1 \text{ ratio}
4x^2+8x+19=0
x^{2}+y^{2}=1
\frac{x^{2}}{4}+\frac{y^{2}}{3}=1
(x-1)^2+(y+2)^2=9
2x-y+3=0
x+y-2=0
xy'=y
\ddot{x}+\omega^2 x=0
"""


def pairs(table: str) -> list[tuple[str, str]]:
    """(answer, gold) of each line."""
    return [tuple(line.split(" === ")) for line in table.strip().splitlines()]
